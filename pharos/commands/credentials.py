"""`pharos keys`, `users`, `tokens` and `access`: manage credentials and read the access log."""

import sys
from datetime import UTC, datetime

import click

from core.access_log import AccessLog
from core.credentials import BUILD, TOKEN_DAYS, Credentials, Role
from core.passwords import weakness
from core.saved_views import SavedViews, ViewError
from pharos.context import fail, load_settings, open_home

ROLES = click.Choice([str(role) for role in Role])
LABEL = click.option("--label", default="", metavar="TEXT", help="Whose it is, for the list.")


@click.group()
def keys() -> None:
    """Ingest keys, with which modules post beacons."""


@keys.command("new")
@click.option("--module", "modules", multiple=True, metavar="M", help="Valid for this module only; may be repeated.")
@click.option("--registry", is_flag=True, help="Writes the license registry (PUT /v1/licenses), and posts no beacons.")
@click.option("--development", is_flag=True, help="Its beacons are shown on the page Data and counted in no figure.")
@LABEL
def keys_new(modules: tuple[str, ...], registry: bool, development: bool, label: str) -> None:
    """Create a key. Prints only the key, once, and its id on stderr."""
    credentials = _credentials(existing=False)
    _print(credentials, credentials.add_key(modules, registry=registry, development=development, label=label))


@keys.command("list")
def keys_list() -> None:
    """List keys: id, time, modules, label."""
    for key in _credentials().keys():
        modules = " ".join(sorted(key.modules)) or "all modules"
        kind = "  registry" if key.registry else "  development" if key.development else ""
        click.echo(f"{key.id}  {key.created}  {modules}{kind}{_labelled(key.label)}")


@keys.command("revoke")
@click.argument("key", metavar="ID")
def keys_revoke(key: str) -> None:
    """Revoke a key by its ID, or by the key itself. The collector rejects its beacons within a second."""
    _credentials().revoke_key(key)


@click.group()
def users() -> None:
    """Dashboard logins."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, required=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def users_add(name: str, role: str, password_stdin: bool) -> None:
    """Add a login. Prints its password, unless given on standard input."""
    given = _given_password(name) if password_stdin else None
    password = _credentials(existing=False).add_user(name, Role(role), given)
    if not password_stdin:
        click.echo(password)


@users.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def users_password(name: str, password_stdin: bool) -> None:
    """Change a password and end all sessions. Prints the password, unless given on standard input."""
    password = _credentials().change_password(name, _given_password(name) if password_stdin else None)
    if not password_stdin:
        click.echo(password)


@users.command("list")
def users_list() -> None:
    """List logins: name, role, time."""
    for user in _credentials().users():
        click.echo(f"{user.name}  {user.role}  {user.created}")


@users.command("remove")
@click.argument("name")
def users_remove(name: str) -> None:
    """Remove a login, end its sessions and delete its saved views."""
    home = open_home()
    credentials = Credentials(home.credentials)
    admins = {user.name for user in credentials.users() if user.role is Role.ADMIN}
    credentials.remove_user(name)
    if admins == {name}:
        click.echo("pharos: no admin is left: add one with pharos users add NAME --role admin", err=True)
    try:
        SavedViews(home.dashboard).delete_all(name)
    except ViewError as error:
        fail(str(error))


@click.group()
def tokens() -> None:
    """Read-API tokens."""


@tokens.command("new")
@click.option("--role", type=click.Choice([*ROLES.choices, BUILD]), required=True)
@click.option(
    "--days",
    type=click.IntRange(0, 3650),
    default=TOKEN_DAYS,
    show_default=True,
    metavar="N",
    help="Days until it expires; 0: never.",
)
@LABEL
def tokens_new(role: str, days: int, label: str) -> None:
    """Create a token. Prints only the token, once, and its id on stderr.

    A token of the role build may report releases and nothing else.
    """
    credentials = _credentials(existing=False)
    _print(credentials, credentials.add_token(None if role == BUILD else Role(role), days or None, label))


@tokens.command("list")
def tokens_list() -> None:
    """List tokens: id, role, creation time, expiry, day of last use, label."""
    for token in _credentials().tokens():
        expires = f"expires {token.expires}" if token.expires else "does not expire"
        used = f"last used {token.used}" if token.used else "never used"
        click.echo(f"{token.id}  {token.may}  {token.created}  {expires}  {used}{_labelled(token.label)}")


@tokens.command("revoke")
@click.argument("token", metavar="ID")
def tokens_revoke(token: str) -> None:
    """Revoke a token by its ID, or by the token itself. It is rejected within a second."""
    _credentials().revoke_token(token)


@click.group()
def access() -> None:
    """The access log: reads of the license plane."""


@access.command("list")
@click.option("--who", default="", help="Only entries of this login, or of `token ID`.")
@click.option(
    "--most",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum number of entries, newest first.",
)
def access_list(who: str, most: int) -> None:
    """List entries, newest first: number, time, user or token, role, source, rows returned, filters."""
    for look in _access_log().entries(most, who):
        when = datetime.fromtimestamp(look.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked = " ".join(f"{name}={value}" for name, value in look.question.items())
        click.echo(f"{look.id}  {when}  {look.who}  {look.role}  {look.what}  {look.rows} rows  {asked}".rstrip())


@access.command("verify")
def access_verify() -> None:
    """Verify that no entry was changed or removed. Exit status 1 if one was."""
    if broken := _access_log().broken():
        fail(f"the access log was changed: {broken}")
    click.echo("the access log is unchanged")


def _labelled(label: str) -> str:
    return f'  "{label}"' if label else ""


def _access_log() -> AccessLog:
    settings = load_settings()
    return AccessLog.of(settings, open_home(settings))


def _given_password(name: str) -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if weak := weakness(password, name):
        fail(f"the password is too weak: {weak}")
    return password


def _print(credentials: Credentials, secret: str) -> None:
    click.echo(secret)
    click.echo(f"its id is {credentials.id_of(secret)}", err=True)


def _credentials(*, existing: bool = True) -> Credentials:
    settings = load_settings()
    if not existing and not settings.home.exists():
        # In another folder the default home is a different one, and its credentials do not work elsewhere.
        click.echo(f"pharos: creating a new home in {settings.home.absolute()}", err=True)
    return Credentials(open_home(settings, existing=existing).credentials)
