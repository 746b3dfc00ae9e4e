"""Logging in and out: a small page of its own. The cookie names a session, which is looked up at every request."""

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
from dashboard.permissions import page_at

COOKIE = "pharos_session"


class SessionUser(UserMixin):  # type: ignore[misc]
    """The user behind a request, with the role of this moment."""

    def __init__(self, session: Session, secret: str) -> None:
        self.name = session.user.name
        self.role: Role = session.user.role
        self.session_id = session.id
        self._secret = secret

    def get_id(self) -> str:
        """What the session cookie carries."""
        return self._secret


class CookieSessions(SecureCookieSessionInterface):
    """Flask's signed cookie; over https it is `Secure` and has the prefix `__Host-`, else a browser would drop it.

    By that prefix a browser takes the cookie from this host over https alone, and from no other of the domain.

    On `without`, the paths that are open to the world, no cookie is read and none is set.
    """

    def __init__(self, without: frozenset[str]) -> None:
        self._without = without

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of this request; None is Flask's empty one, that cannot be written to."""
        return None if request.path in self._without else super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:
        """The name of the cookie for the scheme of this request."""
        return f"__Host-{COOKIE}" if request.is_secure else COOKIE

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie of this answer is for https alone."""
        return request.is_secure


def csrf_token() -> str:
    """The session's token, made when there is none."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def safe_next(text: str) -> str:
    """The page to go to after the login: only a page of ours, with its query; else the first page."""
    try:
        url = urlsplit(text)
    except ValueError:
        return "/"
    page = page_at(url.path)
    if url.scheme or url.netloc or not text.startswith("/") or page is None or not text.isprintable():
        return "/"
    # Put together anew, so that nothing of the text that a browser may read otherwise gets through.
    return f"{page.path}?{url.query}" if url.query else page.path


def register(
    server: Flask, credentials: Credentials, sessions: Sessions, throttle: Throttle, public: frozenset[str]
) -> None:
    """Add Flask-Login, `/login` and `/logout` to the server; on the paths `public` nobody has a session."""
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
            return redirect(safe_next(request.args.get("next", "/")))
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
        return redirect(safe_next(request.form.get("next", "/")), 303)

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
    """Log the visitor in as `user`, in a new session and with a new cookie."""
    secret = sessions.begin(user)
    session.clear()  # a cookie known from before the login must not become a logged-in one
    session.permanent = True
    found = sessions.find(secret)
    if found is not None:
        login_user(SessionUser(found, secret))


def token_matches() -> bool:
    """Whether the form that was posted is a page of ours, shown to this visitor."""
    given = request.form.get("token", "")
    return "csrf" in session and hmac.compare_digest(given.encode(), str(session["csrf"]).encode())


def too_many(seconds: int) -> str:
    """What is said to somebody who has to wait."""
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
