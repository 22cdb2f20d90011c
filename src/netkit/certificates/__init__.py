"""Certificates for development, private use, and explaining to people.

========== ==========================================================
`folder`    where netkit keeps its certificates
`names`     host names and addresses; which of them a CA may vouch for
`files`     private keys on disk: made private, replaced atomically, locked
`authority` the development CA, and signing with it
`develop`   `development`: the CA and the certificate that ``--tls`` uses
`issuing`   `issue`: further server and client certificates
`describe`  any certificate in words
`trust`     the system's and the browsers' trust stores
========== ==========================================================

Everything here is synchronous and takes milliseconds; only `develop` may wait,
at most ten seconds, for another process that is just making the same files.
"""

from __future__ import annotations

from netkit.certificates.describe import Description, describe
from netkit.certificates.develop import Development, development
from netkit.certificates.folder import folder
from netkit.certificates.issuing import Issued, issue

__all__ = ["Description", "Development", "Issued", "describe", "development", "folder", "issue"]
