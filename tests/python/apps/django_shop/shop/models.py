"""What the shop sells and to whom."""

from django.db import models


class Category(models.Model):
    """Filled by a migration."""

    name = models.CharField(max_length=50, unique=True)


class Product(models.Model):
    """Filled by a migration, too."""

    category = models.ForeignKey(Category, on_delete=models.CASCADE)
    name = models.CharField(max_length=50)
    price = models.IntegerField()
    stock = models.IntegerField(default=0)


class Order(models.Model):
    """One product for one customer."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    customer = models.CharField(max_length=50)
    paid = models.BooleanField(default=False)


class Entry(models.Model):
    """One line of the audit trail; in a database of its own."""

    text = models.CharField(max_length=200)
