"""The same application under Locust: `DATABASE=app.db locust --headless -u 10 -t 30s --host http://127.0.0.1:PORT`.

Started again, or in the browser as often as you like, each run finds what the first one found.
"""

from __future__ import annotations

import os

from locust import HttpUser, constant, task

import dbrewind.locust

dbrewind.locust.rewind(os.environ["DATABASE"])


class Customer(HttpUser):
    """Orders, and looks."""

    wait_time = constant(0.01)

    @task(5)
    def order(self) -> None:
        """POST."""
        self.client.post("/orders")

    @task
    def look(self) -> None:
        """GET."""
        self.client.get("/orders")
