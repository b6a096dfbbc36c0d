"""A shop with two databases: the shop's own, and one for its audit trail. Both test databases would be in memory."""

from pathlib import Path

FOLDER = Path(__file__).parent
SECRET_KEY = "not a secret"  # noqa: S105
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sites",
    "shop",
]
SITE_ID = 1
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "shop.urls"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "shop.sqlite3"},
    "audit": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "audit.sqlite3"},
}
DATABASE_ROUTERS = ["shop.routers.AuditRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEST_RUNNER = "dbrewind.django.RewindRunner"
USE_TZ = True
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
