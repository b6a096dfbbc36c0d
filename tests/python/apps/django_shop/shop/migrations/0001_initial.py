import django.db.models.deletion
from django.db import migrations, models

KEY = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.CreateModel("Category", [("id", KEY), ("name", models.CharField(max_length=50, unique=True))]),
        migrations.CreateModel(
            "Product",
            [
                ("id", KEY),
                ("category", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="shop.category")),
                ("name", models.CharField(max_length=50)),
                ("price", models.IntegerField()),
                ("stock", models.IntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", KEY),
                ("product", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="shop.product")),
                ("customer", models.CharField(max_length=50)),
                ("paid", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel("Entry", [("id", KEY), ("text", models.CharField(max_length=200))]),
    ]
