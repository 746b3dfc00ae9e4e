"""The roles as pages name them."""

from core.credentials import Role

ROLES = {Role.PRODUCT: "Product", Role.LICENSING: "Licensing", Role.ADMIN: "Administrator"}
