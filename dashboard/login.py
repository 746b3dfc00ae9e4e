"""The login page, and logging in and out. The cookie names a session, which is looked up at every request."""

import hmac
import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Flask, Request, Response, make_response, redirect, render_template, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response as AnyResponse

from core.credentials import Credentials, Role, User
from core.sessions import MOST_SECONDS, Session, Sessions
from dashboard.login_throttle import Throttle
from dashboard.permissions import PAGES, page_at

COOKIE = "pharos_session"
DESK = next(page.path for page in PAGES if page.name == "desk")


class SessionUser(UserMixin):  # type: ignore[misc]
    """The user of a request, with the current role."""

    def __init__(self, session: Session, secret: str) -> None:
        self.name = session.user.name
        self.role: Role = session.user.role
        self.session_id = session.id
        self._secret = secret

    def get_id(self) -> str:
        """Return the secret that the session cookie stores."""
        return self._secret


class CookieSessions(SecureCookieSessionInterface):
    """Flask's signed cookie. Over https it is `Secure` and has the prefix `__Host-`.

    With that prefix, a browser accepts the cookie only from this host over https, not from other hosts of the domain.
    Over http a browser would drop such a cookie.

    `without` has the public paths, on which no cookie is read or set.
    """

    def __init__(self, without: frozenset[str]) -> None:
        self._without = without

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of this request. For None, Flask uses an empty session that is read-only."""
        return None if request.path in self._without else super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name of the cookie for the scheme of this request."""
        return f"__Host-{COOKIE}" if request.is_secure else COOKIE

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether the cookie of this answer is only for https."""
        return request.is_secure


def csrf_token() -> str:
    """Return the session's CSRF token. Creates it at the first call."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def safe_next(text: str) -> str:
    """Return the address to open after the login: a page of the dashboard, with its query, or else the first page."""
    try:
        url = urlsplit(text)
    except ValueError:
        return "/"
    page = page_at(url.path)
    if url.scheme or url.netloc or not text.startswith("/") or page is None or not text.isprintable():
        return "/"
    # Build the address anew, because a browser may parse the given text differently.
    path = url.path if page.within else page.path
    return f"{path}?{url.query}" if url.query else path


def _after_login(text: str, role: Role) -> str:
    """Return the address to open after the login: the licensing team begins with its cases."""
    address = safe_next(text)
    return DESK if address == "/" and role is Role.LICENSING else address


def register(
    server: Flask, credentials: Credentials, sessions: Sessions, throttle: Throttle, public: frozenset[str]
) -> None:
    """Add Flask-Login, `/login` and `/logout` to the server. The paths in `public` have no session."""
    server.session_interface = CookieSessions(public)
    server.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=MOST_SECONDS),
    )
    manager = LoginManager(server)

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load(secret: str) -> SessionUser | None:
        found = sessions.find(secret)
        return SessionUser(found, secret) if found else None

    @server.get("/login")
    def show_login() -> AnyResponse:
        if current_user.is_authenticated:
            return redirect(_after_login(request.args.get("next", "/"), current_user.role))
        return _page()

    @server.post("/login")
    def log_in() -> AnyResponse:
        if not token_matches():
            return _page("This page was open for too long. Please try again.", 400)
        address, name = request.remote_addr or "", request.form.get("name", "").strip()[:64]
        if seconds := throttle.attempt(address, name):
            return _throttled(seconds)
        user = credentials.log_in(name, request.form.get("password", ""))
        if user is None:
            return _page("Name or password is wrong.", 401)
        throttle.passed(address, name)
        if current_user.is_authenticated:
            sessions.end(current_user.name, current_user.session_id)
        begin_session(sessions, user)
        return redirect(_after_login(request.form.get("next", "/"), user.role), 303)

    @server.post("/logout")
    def log_out() -> AnyResponse:
        if not token_matches():
            return Response(status=400)
        if current_user.is_authenticated:
            sessions.end(current_user.name, current_user.session_id)
        logout_user()
        session.clear()
        return redirect("/login", 303)


def begin_session(sessions: Sessions, user: User) -> None:
    """Log the visitor in as `user`, with a new session and a new cookie."""
    secret = sessions.begin(user)
    session.clear()  # a cookie from before the login must not become valid for the session (session fixation)
    session.permanent = True
    found = sessions.find(secret)
    if found is not None:
        login_user(SessionUser(found, secret))


def token_matches() -> bool:
    """Return whether the posted form has the CSRF token of this session."""
    given = request.form.get("token", "")
    return "csrf" in session and hmac.compare_digest(given.encode(), str(session["csrf"]).encode())


def too_many(seconds: int) -> str:
    """Return the message for a visitor who must wait this many seconds."""
    minutes = -(-seconds // 60)
    return f"Too many attempts. Please try again in {minutes} minute{'s' if minutes > 1 else ''}."


def _throttled(seconds: int) -> Response:
    answer = _page(too_many(seconds), 429)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _page(error: str = "", status: int = 200) -> Response:
    html = render_template(
        "login.html",
        error=error,
        name=request.form.get("name", ""),
        next=safe_next(request.values.get("next", "/")),
        token=csrf_token(),
    )
    return make_response(html, status)
