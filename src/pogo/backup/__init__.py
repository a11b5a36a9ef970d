"""Backups: one sealed object each, with the database, the keys and the settings of an installation.

`seal` encrypts, `contents` says what is in one, `catalog` which there are and which objects they need, `snapshot`
copies the database, `taking` makes one, `checking` looks whether one is good. Restoring is `install.restore`.
"""
