"""The vendor of the demonstration: twelve modules with releases of the last months, scattered platforms, countries."""

import datetime as dt
import hashlib
from bisect import bisect
from itertools import accumulate

from pharos.synthetic_fleet import Ladder, Release, World

MODULES: Ladder = {
    "invoice_pro": 26, "bulk_mailer": 16, "domain_tools": 13, "ticket_ai": 10, "billing_sync": 8, "client_portal": 7,
    "tax_rules": 6, "server_monitor": 5, "backup_manager": 4, "affiliate_plus": 3, "sms_gateway": 3, "quote_builder": 3,
}  # fmt: skip
# From old to new. A version with weight 0 is released during the days of the fleet.
VERSIONS = {
    "invoice_pro": {
        "2.9.4": 5,
        "3.0.0": 4,
        "3.1.2": 18,
        "3.2.0": 25,
        "3.2.1": 48,
        "3.2.2": 0,
        "3.3.0": 0,
        "3.3.1": 0,
        "4.0.0": 0,
    },
    "bulk_mailer": {"1.8.0": 15, "1.9.3": 35, "2.0.0": 50, "2.0.1": 0, "2.1.0": 0, "3.0.0": 0},
    "domain_tools": {"0.9.7": 5, "1.0.0": 25, "1.1.0": 70, "1.1.1": 0, "1.2.0": 0, "1.3.0": 0},
    "ticket_ai": {"0.4.0": 30, "0.5.0": 70, "0.6.0": 0, "0.7.0": 0},
    "billing_sync": {"5.1": 40, "5.2": 60, "5.3": 0},
    "client_portal": {"2.4.1": 20, "2.5.0": 80, "2.6.0": 0},
    "tax_rules": {"1.14.0": 30, "1.15.2": 70, "1.16.0": 0},
    "server_monitor": {"3.0.2": 100, "3.1.0": 0},
    "backup_manager": {"1.0.9": 45, "1.1.0": 55},
    "affiliate_plus": {"4.2.0": 100},
    "sms_gateway": {"2.0.3": 60, "2.1.0": 40},
    "quote_builder": {"0.8.0": 100, "0.9.0": 0},
}  # fmt: skip
# 4.0.0 of invoice_pro fails: few take it, and those that do fall silent.
RELEASES = {
    "invoice_pro": {
        "3.2.2": Release(86, 0.04), "3.3.0": Release(76, 0.045), "3.3.1": Release(52, 0.04),
        "4.0.0": Release(24, 0.006, 0.012),
    },
    "bulk_mailer": {"2.0.1": Release(85, 0.03), "2.1.0": Release(60, 0.03), "3.0.0": Release(20, 0.05)},
    "domain_tools": {"1.1.1": Release(82, 0.02), "1.2.0": Release(55, 0.03), "1.3.0": Release(27, 0.03)},
    "ticket_ai": {"0.6.0": Release(70, 0.04), "0.7.0": Release(30, 0.04)},
    "billing_sync": {"5.3": Release(45, 0.03)},
    "client_portal": {"2.6.0": Release(35, 0.03)},
    "tax_rules": {"1.16.0": Release(64, 0.05)},
    "server_monitor": {"3.1.0": Release(40, 0.03)},
    "quote_builder": {"0.9.0": Release(15, 0.05)},
}  # fmt: skip
# (share of the module's installs that use it, mean uses per day of these installs)
FEATURES = {
    "invoice_pro": {
        "invoice.pdf_export": (0.93, 14.0), "invoice.credit_note": (0.41, 1.2), "invoice.e_invoice_xml": (0.18, 6.0),
        "invoice.bulk_download": (0.09, 0.4), "invoice.tiff_export": (0.006, 0.3), "admin.widget": (0.55, 3.0),
        "invoice.fax_copy": (0.45, 0.8),
    },
    "bulk_mailer": {"bulk_email": (0.88, 160.0), "mailer.ab_test": (0.07, 0.5), "mailer.segments": (0.34, 2.0)},
    "domain_tools": {"domain.whois": (0.80, 22.0), "domain.bulk_renew": (0.25, 0.7), "admin.widget": (0.35, 2.0)},
    "ticket_ai": {"ticket.suggest_reply": (0.97, 35.0), "ticket.auto_tag": (0.6, 18), "ticket.translate": (0.12, 4.0)},
    "billing_sync": {"sync.run": (0.99, 24.0), "sync.dry_run": (0.15, 0.3), "sync.conflict_resolve": (0.20, 0.6)},
    "client_portal": {"portal.login": (0.96, 40.0), "portal.theme": (0.30, 0.2), "portal.two_factor": (0.22, 3.0)},
    "tax_rules": {"tax.calculate": (0.99, 55.0), "tax.vat_check": (0.62, 7.0), "tax.report": (0.44, 0.4)},
    "server_monitor": {"monitor.check": (0.98, 90.0), "monitor.alert": (0.57, 1.4)},
    "backup_manager": {"backup.run": (0.95, 1.5), "backup.restore": (0.12, 0.1)},
    "affiliate_plus": {"affiliate.payout": (0.70, 0.5), "affiliate.banner": (0.48, 6.0)},
    "sms_gateway": {"sms.send": (0.92, 18.0), "sms.two_way": (0.16, 2.0)},
    "quote_builder": {"quote.create": (0.90, 2.5), "quote.sign": (0.35, 0.6)},
}  # fmt: skip
PHP: Ladder = {
    "7.2.34": 1, "7.4.3": 1.5, "7.4.30": 1.5, "7.4.33": 5, "8.0.28": 1, "8.0.30": 2.5, "8.1.2": 3, "8.1.16": 2,
    "8.1.27": 7, "8.1.31": 6, "8.1.33": 10, "8.2.7": 3, "8.2.12": 7, "8.2.20": 5, "8.2.28": 7, "8.2.29": 13,
    "8.3.6": 4, "8.3.14": 6, "8.3.21": 4, "8.3.25": 7, "8.4.5": 1.5, "8.4.12": 2,
}  # fmt: skip
WHMCS: Ladder = {
    "8.5.2": 1, "8.6.1": 2, "8.7.3": 2, "8.8.0": 4, "8.9.0": 3, "8.10.1": 10, "8.11.0": 5, "8.11.2": 12, "8.12.0": 6,
    "8.12.1": 15, "8.13.0": 9, "8.13.1": 22, "9.0.0": 6, "9.0.1": 3,
}  # fmt: skip
DATABASE: Ladder = {
    "mysql-5.7": 6, "mysql-8.0": 22, "mysql-8.4": 2, "mariadb-10.3": 3, "mariadb-10.5": 6, "mariadb-10.6": 24,
    "mariadb-10.11": 29, "mariadb-11.4": 8,
}  # fmt: skip
WEB_SERVER: Ladder = {
    "apache-2.4": 58, "litespeed-6.1": 8, "litespeed-6.3": 18, "nginx-1.24": 5, "nginx-1.26": 9, "openlitespeed-1.8": 2,
}  # fmt: skip
COUNTRIES: Ladder = {
    "US": 22, "DE": 13, "GB": 10, "NL": 8, "IN": 7, "BR": 6, "FR": 6, "CA": 5, "AU": 4, "PL": 3, "ES": 3, "IT": 3,
    "TR": 3, "ID": 2, "ZA": 2, "RO": 2, "SE": 1,
}  # fmt: skip
TITLES = {
    "invoice.pdf_export": "PDF export", "invoice.credit_note": "Credit notes", "invoice.fax_copy": "Fax copies",
    "bulk_email": "Bulk e-mail", "domain.whois": "Whois lookup", "ticket.suggest_reply": "Suggested replies",
}  # fmt: skip
DECLARED_ONLY = ("invoice_pro", "invoice.qr_code")  # a module's feature in the catalog that nobody uses


def season(day: dt.date) -> float:
    """The uses of a day beside the mean: invoices go out at the turn of a month, August and the holidays are calm."""
    factor = 1.5 if day.day <= 3 or day.day >= 29 else 0.95
    return factor * (0.7 if day.month == 8 or (day.month, day.day) >= (12, 22) else 1.0)


def country(address: str) -> str:
    """A country for an address of the demonstration, always the same one. The ranges for documentation have none."""
    if not address:
        return ""
    sums = list(accumulate(COUNTRIES.values()))
    point = int.from_bytes(hashlib.sha256(address.encode()).digest()[:4]) / (1 << 32) * sums[-1]
    return list(COUNTRIES)[bisect(sums, point)]


def catalog(end: dt.date) -> str:
    """The catalog of the demonstration: titles, one feature that is declared only, and the days of the releases."""
    parts = ['mode = "open"']
    for module, releases in RELEASES.items():
        days = ", ".join(f'"{name}" = {end - dt.timedelta(days=one.before)}' for name, one in releases.items())
        parts.append(
            f'[[module]]\nname = "{module}"\npurpose = "Demonstration"\nowner = "Demo"\nreleases = {{ {days} }}'
        )
    titled = [(module, feature) for module, features in FEATURES.items() for feature in features if feature in TITLES]
    for module, feature in [*titled, DECLARED_ONLY]:
        title = TITLES.get(feature, "QR codes")
        parts.append(
            f'[[feature]]\nname = "{feature}"\nmodule = "{module}"\ntitle = "{title}"\n'
            'purpose = "Demonstration"\nowner = "Demo"'
        )
    return "\n\n".join(parts) + "\n"


VENDOR = World(
    MODULES, VERSIONS, FEATURES, PHP, WHMCS, DATABASE, WEB_SERVER, RELEASES, {"invoice.fax_copy": 0.7}, season
)
