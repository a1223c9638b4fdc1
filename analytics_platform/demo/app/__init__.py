"""An example of the product: a small FastAPI application for equipment rental that tells the platform what happens.

It shows how a backend is instrumented. `api` puts the middleware around the application, so that each request is an
`http.request`. Handlers emit what else the plan wants; where money or stock is moved, with the session of the same
transaction, so that the event exists if and only if the change does. One module per subject (`bookings`, `billing`,
`warehouse`, `support`), tables in `domain`, who asks in `context`.
"""

from analytics_platform.demo.app.api import create_app
from analytics_platform.demo.app.domain import create_tables

__all__ = ["create_app", "create_tables"]
