"""The shop over HTTP."""

from asgiref.sync import sync_to_async
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


async def order_async(request: HttpRequest) -> JsonResponse:
    """The same, in a loop."""
    if request.method == "POST":
        number = await sync_to_async(services.place)(int(request.POST["product"]), request.POST["customer"])
        return JsonResponse({"order": number}, status=201)
    product = await Product.objects.aget(id=1)
    return JsonResponse({"orders": await Order.objects.acount(), "stock": product.stock})


urlpatterns = [path("orders/", order), path("async/orders/", order_async)]
