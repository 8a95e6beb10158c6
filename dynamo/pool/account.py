"""The account the pool's daemons run under.

HTCondor refuses to run jobs as root. A pool started by root therefore runs in a user namespace that maps root's uid to
an unprivileged account: the daemons believe they run as an ordinary user, while the kernel still lets them and their
jobs use root's files (without root's power over other users' files).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass

from dynamo.errors import MissingPartError

#: System accounts that exist everywhere, own nothing and cannot log in; the first one found is used.
_PLAIN_ACCOUNTS = ("daemon", "bin", "nobody")


@dataclass(frozen=True)
class Account:
    """The user name HTCondor sees, and the prefix for daemon commands."""

    user: str
    prefix: tuple[str, ...] = ()


def daemon_account() -> Account:
    """Return the account under which the current user can run HTCondor's daemons.

    Raises
    ------
    MissingPartError
        If the user has no name, or root cannot create a user namespace.
    """
    number = os.geteuid()
    if number != 0:
        try:
            return Account(pwd.getpwuid(number).pw_name)
        except KeyError:
            raise MissingPartError(
                "your uid has no user name on this system, and HTCondor needs one",
                where=f"uid {number}",
                hint="add it to /etc/passwd",
            ) from None
    names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    user = next((name for name in _PLAIN_ACCOUNTS if names.get(name)), None)
    unshare = shutil.which("unshare")
    if user is None or unshare is None:
        raise MissingPartError(
            "as root, this needs the program unshare (util-linux) and an unprivileged account such as daemon",
            hint="run `dynamo pool up` as an ordinary user",
        )
    shown = names[user]
    group = pwd.getpwnam(user).pw_gid
    # One gid suffices, and any but the user's private one would do.
    prefix = (unshare, "--user", f"--map-user={shown}", f"--map-group={group}")
    tried = subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True, check=False)
    if tried.returncode == 0 and tried.stdout.strip() == str(shown):
        return Account(user, prefix)
    raise MissingPartError(
        f"HTCondor runs no jobs as root, and root cannot create a user namespace here: {tried.stderr.strip()}",
        hint="run `dynamo pool up` as an ordinary user, or allow user namespaces "
        "(sysctl user.max_user_namespaces; for a container: --security-opt seccomp=unconfined)",
    )
