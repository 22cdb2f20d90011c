"""Certificates for development, private use, and explaining to people.

========== ==========================================================
`folder`    where netkit keeps its certificates
`names`     host names and addresses; which of them a CA may vouch for
`files`     private keys on disk: made private, replaced atomically, locked
`pem`       certificates and keys read from them
`authority` the development CA, and signing with it
`develop`   `development`: the CA and the certificate that ``--tls`` uses
`issuing`   `issue`: further server and client certificates
`describe`  any certificate in words
`trust`     the system's and the browsers' trust stores
========== ==========================================================

Everything here is synchronous and takes milliseconds; only `develop` may wait,
at most ten seconds, for another process that is just making the same files.

Nothing is imported here: all but `folder` and `files` need cryptography, whose import takes
longer than netkit's own, and most processes never see a certificate.
"""
