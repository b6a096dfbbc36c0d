from __future__ import annotations

from typing import Any

from django.db import migrations

NAMES = ["bread", "cheese", "olives"]


def fill(apps: Any, editor: Any) -> None:
    """The catalogue is part of the schema here, as in many projects."""
    if editor.connection.alias != "default":
        return
    food = apps.get_model("shop", "Category").objects.create(name="food")
    product = apps.get_model("shop", "Product")
    for price, name in enumerate(NAMES, 3):
        product.objects.create(category=food, name=name, price=price, stock=5)


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
