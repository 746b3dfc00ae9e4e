"""The page of the user's own account: changing the password, and the open sessions."""

from datetime import UTC, datetime

from flask import Flask, Response, make_response, redirect, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from core.credentials import Credentials
from core.passwords import weakness
from core.sessions import Sessions
from dashboard.formatting import moment
from dashboard.login import begin_session, csrf_token, token_matches, too_many
from dashboard.login_throttle import Throttle
from dashboard.permissions import ACCOUNT


def register(server: Flask, credentials: Credentials, sessions: Sessions, throttle: Throttle) -> None:
    """Add `/account` and the targets of its forms. The guard requires a login for them."""

    def page(error: str = "", status: int = 200, done: str = "") -> Response:
        open_sessions = [
            {
                "id": each.id,
                "begun": moment(datetime.fromtimestamp(each.created, UTC)),
                "used": moment(datetime.fromtimestamp(each.used, UTC)),
                "here": each.id == current_user.session_id,
            }
            for each in sessions.of(current_user.name)
        ]
        html = render_template(
            "account.html", name=current_user.name, sessions=open_sessions, error=error, done=done, token=csrf_token()
        )
        return make_response(html, status)

    @server.get(ACCOUNT)
    def show_account() -> Response:
        done = {"password": "Password changed. All other sessions have ended.", "ended": "Done."}
        return page(done=done.get(request.args.get("done", ""), ""))

    @server.post(f"{ACCOUNT}/password")
    def change_password() -> AnyResponse:
        if not token_matches():
            return page("This page was open for too long. Please try again.", 400)
        address, name = request.remote_addr or "", current_user.name
        new = request.form.get("new", "")
        if seconds := throttle.attempt(address, name):
            return page(too_many(seconds), 429)
        user = credentials.log_in(name, request.form.get("password", ""))
        if user is None:
            return page("The current password is wrong.", 401)
        throttle.passed(address, name)
        if new != request.form.get("again", ""):
            return page("The new passwords do not match.", 422)
        if weak := weakness(new, name):
            return page(f"The new password is too weak: {weak}.", 422)
        credentials.change_password(name, new)
        begin_session(sessions, user)
        return redirect(f"{ACCOUNT}?done=password", 303)

    @server.post(f"{ACCOUNT}/sessions")
    def end_sessions() -> AnyResponse:
        if not token_matches():
            return page("This page was open for too long. Please try again.", 400)
        if id := request.form.get("id", ""):
            sessions.end(current_user.name, id)
        else:
            sessions.end_others(current_user.name, current_user.session_id)
        return redirect(f"{ACCOUNT}?done=ended", 303)
