"""The shop over HTTP."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from shop import services
from shop.models import Order, Product


def order(request: HttpRequest) -> JsonResponse:
    """POST orders, GET counts."""
    if request.method == "POST":
        try:
            number = services.place(int(request.POST["product"]), request.POST["customer"])
        except services.OutOfStock:
            return JsonResponse({"error": "out of stock"}, status=409)
        return JsonResponse({"order": number}, status=201)
    return JsonResponse({"orders": Order.objects.count(), "stock": Product.objects.get(id=1).stock})


urlpatterns = [path("orders/", order)]
