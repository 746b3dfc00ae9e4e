"""Builds the dashboard: Flask, login, guard, read API, Dash and its pages. Importing the module does nothing."""

import logging
from functools import partial
from importlib import import_module
from typing import Any

from dash import Dash
from dash.exceptions import DependencyException
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from core import client_address, logs
from core.access_log import AccessLog
from core.catalog import Watched, place
from core.credentials import Credentials, Role
from core.home import Home, derive
from core.license_keys import LicenseKeys
from core.outbox import Outbox
from core.releases import Releases
from core.saved_views import SavedViews, View
from core.sessions import Sessions
from core.settings import Settings
from dashboard import (
    account,
    app_shell,
    desk_forms,
    early_answers,
    login,
    messages,
    permissions,
    public_page,
    router,
    script_assets,
)
from dashboard.alerts import alert_of
from dashboard.casework import Casework
from dashboard.data_source import DataSource
from dashboard.desk_digest import digest_of
from dashboard.digests import Digests
from dashboard.login_throttle import Throttle
from dashboard.metrics import DashboardMetrics
from dashboard.narrow_questions import NarrowQuestions
from dashboard.permissions import Callbacks
from dashboard.question_limit import QuestionLimit, client_gone
from dashboard.report import Rendered, Report
from dashboard.reported_releases import with_reported
from dashboard.sent_emails import SentEmails
from dashboard.webhook import Webhook
from warehouse.engine import Engine
from warehouse.limited_engine import LimitedEngine

log = logging.getLogger("pharos.requests")

# A browser sends no more than filters and a row of a grid.
MOST_BODY_BYTES = 1 << 20
SENDERS = "pharos senders"  # in the app's extensions: the server starts them
REFUSALS = {
    403: ("Access denied", "Your role cannot open this page. An administrator can change your role."),
    404: ("Page not found", "The address may be mistyped, or the page was removed."),
}


def create_app(settings: Settings, home: Home, engine: Engine) -> Flask:
    """The dashboard and the read API as one WSGI app. A process may create several."""
    server = Flask("dashboard", static_folder=None)
    server.config["MAX_CONTENT_LENGTH"] = MOST_BODY_BYTES
    measured = DashboardMetrics()
    engine = LimitedEngine(engine, settings.query_seconds, client_gone, ended=measured.count_query)
    questions = QuestionLimit()
    questions.register(server)
    server.secret_key = derive(home.root_secret(settings), "dashboard session")
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        schemed = ProxyFix(server.wsgi_app, x_for=0, x_proto=hops)
        server.wsgi_app = client_address.through_proxies(schemed, hops)  # type: ignore[method-assign]
    credentials = Credentials(home.credentials)
    access_log = AccessLog.of(settings, home)
    public = permissions.PUBLIC if settings.public_page == "on" else frozenset()
    sessions, throttle = Sessions(credentials), Throttle()
    login.register(server, credentials, sessions, throttle, public)
    permissions.guard(server, public, questions)
    measured.register(server, engine, credentials, sessions, settings.metrics_token)
    account.register(server, credentials, sessions, throttle)
    if public:
        server.register_blueprint(public_page.blueprint(settings, home, engine))
    narrow = NarrowQuestions()
    # A broken catalog stops the collector but not the pages, which then show names without titles.
    releases = Releases(home.dashboard)
    catalog = with_reported(Watched(place(settings, home)), releases)
    views = SavedViews(home.dashboard)
    license_keys = LicenseKeys(home.root_secret(settings))
    casework = Casework(engine, access_log, credentials, license_keys)
    webhook = (
        Webhook(
            settings.webhook_url, settings.webhook_secret, Outbox(home.dashboard), engine, access_log,
            seconds=settings.k == 1, address=settings.dashboard_url,
        )
        if settings.webhook_url
        else None
    )  # fmt: skip
    desk_forms.register(server, casework, webhook)
    data = DataSource(engine, settings, home, credentials, catalog, access_log, narrow, casework, webhook)

    def report(view: View, role: Role) -> Rendered:
        with server.app_context():
            return reports.render(view, role, settings.dashboard_url)

    api = import_module("dashboard.api").blueprint(
        settings,
        engine,
        credentials,
        access_log,
        license_keys,
        casework,
        narrow,
        questions,
        catalog,
        releases,
        views,
        report,
    )
    server.register_blueprint(api)
    _register_refusals(server)
    emails = SentEmails(measured.count_email)
    dash_app, reports = _dash(server, home, data, views, emails)
    # Dash completes its set-up in the first request. Here that is not a visitor's, and no second one runs beside it.
    with server.test_request_context("/healthz"):
        server.preprocess_request()
    _register_headers(server, dash_app)
    script_assets.register(server)
    early_answers.register(server, questions)
    senders: list[Digests | Webhook] = [webhook] if webhook else []
    if settings.smtp_url:
        address = settings.dashboard_url
        alert, cases = partial(alert_of, data), partial(digest_of, casework, address)
        smtp, synthetic = settings.smtp_url, home.synthetic.exists
        senders.append(Digests(views, credentials, report, alert, cases, smtp, address, emails, synthetic=synthetic))
        measured.sends_emails()
    server.extensions[SENDERS] = senders
    return server


def _dash(server: Flask, home: Home, data: DataSource, views: SavedViews, emails: SentEmails) -> tuple[Dash, Report]:
    dash_app = Dash(
        "dashboard",
        server=server,
        title="Pharos",
        update_title="",
        serve_locally=True,
        assets_path_ignore=["login"],
        suppress_callback_exceptions=True,
        add_log_handler=False,
        enable_mcp=False,
    )
    script_assets.later()
    dash_app.index_string = _INDEX
    dash_app.layout = lambda: app_shell.layout(home.synthetic.exists())
    callbacks = Callbacks(dash_app)
    app_shell.register(dash_app, callbacks, data, views, emails)
    pages: dict[str, Any] = {page.name: import_module(f"dashboard.pages.{page.name}") for page in permissions.PAGES}
    layouts = {}
    for page in permissions.PAGES:
        layouts[page.name] = permissions.guarded(page, pages[page.name].layout, messages.no_access)
        pages[page.name].register(page, dash_app, callbacks, data)
    router.register(dash_app, callbacks, layouts)
    return dash_app, Report(data, callbacks, {name: module.layout for name, module in pages.items()})


def _register_refusals(server: Flask) -> None:
    def refuse(status: int) -> None:
        @server.errorhandler(status)
        def show(error: Any) -> Any:
            if request.path.startswith(permissions.API) or not permissions.is_page_request():
                return error.get_response()
            title, text = REFUSALS[status]
            return render_template("message.html", title=title, text=text), status

    for status in REFUSALS:
        refuse(status)

    @server.errorhandler(DependencyException)
    def unknown_script(error: DependencyException) -> Any:
        """A path of a script or a package that Dash does not have."""
        return server.handle_user_exception(NotFound())

    @server.errorhandler(Exception)
    def failed(error: Exception) -> Any:
        if isinstance(error, HTTPException):
            return error.get_response()
        # By its type and place only: a traceback's values may hold what must not be in a log.
        log.error("a request failed: %s at %s", type(error).__name__, logs.place(error))
        return Response("This request failed. The log says where.\n", 500, content_type="text/plain")


def _register_headers(server: Flask, dash_app: Dash) -> None:
    # Grids and charts set inline styles from scripts. CSP cannot allow only those.
    scripts = " ".join(dash_app.csp_hashes())
    policy = (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )

    @server.after_request
    def add(response: Response) -> Response:
        headers = response.headers
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["X-Frame-Options"] = "DENY"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        headers.setdefault("Content-Security-Policy", policy)
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        return response


_INDEX = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <meta name="color-scheme" content="light dark">
    <title>{%title%}</title>
    <link rel="icon" type="image/svg+xml" href="/assets/login/mark.svg">
    {%css%}
  </head>
  <body>
    {%app_entry%}
    <footer>
      {%config%}
      {%scripts%}
      {%renderer%}
    </footer>
  </body>
</html>"""
