"""`pharos sdk` and `pharos datasheet`: what a vendor ships, and what it tells about it."""

from pathlib import Path

import click

from core.credentials import DEVELOPMENT
from pharos.context import fail
from pharos.sdk import SdkError, php, php_pair


@click.command()
@click.option("--vendor", required=True, help="Name of the vendor, the first part of the namespace: Acme.")
@click.option("--collector", required=True, help="Address of the collector, as the modules reach it.")
@click.option("--key", required=True, help="Ingest key of the vendor's modules.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Without it, standard output.")
@click.option("--split", is_flag=True, help="Write what only the cron and the page need beside it: FILE-rest.php.")
def sdk(vendor: str, collector: str, key: str, out: Path | None, split: bool) -> None:
    """Write the vendor's one PHP file, in the namespace VENDOR\\Pharos.

    With --split it is two files, of which a page that counts loads the smaller one. A module then ships both.
    """
    if key.startswith(DEVELOPMENT):
        click.echo("a development key: beacons count in no figure. Write the file again before you ship it.", err=True)
    try:
        if not split:
            _write(php(vendor, collector, key), out)
            if out is not None:
                tried = f"pharos check {collector} --key KEY --module MODULE"
                click.echo(f"wrote {out}; try its address and key: {tried}", err=True)
            return
        if out is None:
            fail("--split needs --out: it writes two files")
        beside = out.with_name(f"{out.stem}-rest{out.suffix}")
        first, rest = php_pair(vendor, collector, key, beside.name)
    except SdkError as error:
        fail(str(error))
    _write(rest, beside)
    _write(first, out)
    click.echo(f"wrote {out} and {beside}: ship both", err=True)


@click.command()
@click.option("--vendor", required=True, help="Name of the vendor, as the owner of a server knows it.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Without it, standard output.")
def datasheet(vendor: str, out: Path | None) -> None:
    """Write what modules send, in Markdown, to paste into a privacy policy."""
    from pharos.data_sheet import markdown

    _write(markdown(vendor), out)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
