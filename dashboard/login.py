"""Logging in and out: a small page of its own, sessions in a signed cookie, the user looked up at every request."""

import hmac
import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Flask, Request, Response, make_response, redirect, render_template, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response as AnyResponse

from core.credentials import Credentials, Role, User
from dashboard.login_throttle import Throttle
from dashboard.permissions import page_at

SESSION_HOURS = 12


class SessionUser(UserMixin):  # type: ignore[misc]
    """The user behind a request, with the role of this moment."""

    def __init__(self, user: User) -> None:
        self.name = user.name
        self.role: Role = user.role
        self._id = session_id(user)

    def get_id(self) -> str:
        """What the session cookie carries."""
        return self._id


class CookieSessions(SecureCookieSessionInterface):
    """Flask's signed cookie; `Secure` whenever the request came by https, so that both ways of serving just work.

    On `without`, the paths that are open to the world, no cookie is read and none is set.
    """

    def __init__(self, without: frozenset[str]) -> None:
        self._without = without

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of this request; None is Flask's empty one, that cannot be written to."""
        return None if request.path in self._without else super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie of this answer is for https alone."""
        return request.is_secure


def session_id(user: User) -> str:
    """Name and creation: a user who was removed and made anew is somebody else, and so is their old session."""
    return f"{user.name}\n{user.created}"


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


def register(server: Flask, credentials: Credentials, public: frozenset[str]) -> None:
    """Add Flask-Login, `/login` and `/logout` to the server; on the paths `public` nobody has a session."""
    server.session_interface = CookieSessions(public)
    server.config.update(
        SESSION_COOKIE_NAME="pharos_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=SESSION_HOURS),
    )
    manager = LoginManager(server)
    throttle = Throttle()

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load(identity: str) -> SessionUser | None:
        user = credentials.user(identity.partition("\n")[0])
        return SessionUser(user) if user and session_id(user) == identity else None

    @server.get("/login")
    def show_login() -> AnyResponse:
        if current_user.is_authenticated:
            return redirect(safe_next(request.args.get("next", "/")))
        return _page()

    @server.post("/login")
    def log_in() -> AnyResponse:
        if not _token_matches():
            return _page("This page was open for too long. Please try again.", 400)
        address = request.remote_addr or ""
        if seconds := throttle.wait(address):
            return _throttled(seconds)
        user = credentials.log_in(request.form.get("name", "").strip(), request.form.get("password", ""))
        if user is None:
            throttle.failed(address)
            return _page("Name or password is wrong.", 401)
        throttle.passed(address)
        session.clear()  # a session known from before the login must not become a logged-in one
        session.permanent = True
        login_user(SessionUser(user))
        return redirect(safe_next(request.form.get("next", "/")), 303)

    @server.post("/logout")
    def log_out() -> AnyResponse:
        if not _token_matches():
            return Response(status=400)
        logout_user()
        session.clear()
        return redirect("/login", 303)


def _token_matches() -> bool:
    given = request.form.get("token", "")
    return "csrf" in session and hmac.compare_digest(given.encode(), str(session["csrf"]).encode())


def _throttled(seconds: int) -> Response:
    minutes = -(-seconds // 60)
    answer = _page(f"Too many attempts. Please try again in {minutes} minute{'s' if minutes > 1 else ''}.", 429)
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
