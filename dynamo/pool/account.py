"""Under which account the daemons run.

HTCondor refuses to run jobs as root. A pool that root starts therefore lives in a user namespace, in which root's
number is shown as that of an unprivileged account: the daemons take themselves for an ordinary user's, while the
kernel lets them and their jobs use root's files as root's (without root's power over other users' files).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass

from dynamo.errors import MissingPartError

#: System accounts that are everywhere, own nothing and may not log in; the first that exists is shown.
_PLAIN_ACCOUNTS = ("daemon", "bin", "nobody")


@dataclass(frozen=True)
class Account:
    """The name that HTCondor knows the user by, and what to put before a daemon's command."""

    user: str
    prefix: tuple[str, ...] = ()


def daemon_account() -> Account:
    """Return how the invoking user can run HTCondor's daemons.

    Raises
    ------
    MissingPartError
        If the user has no name, or root cannot make a user namespace.
    """
    number = os.geteuid()
    if number != 0:
        try:
            return Account(pwd.getpwuid(number).pw_name)
        except KeyError:
            raise MissingPartError(
                "your user number has no name on this system, and HTCondor needs one",
                where=f"uid {number}",
                hint="add it to /etc/passwd",
            ) from None
    names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    user = next((name for name in _PLAIN_ACCOUNTS if names.get(name)), None)
    unshare = shutil.which("unshare")
    if user is None or unshare is None:
        raise MissingPartError(
            "root needs the program unshare (util-linux) and an unprivileged account such as daemon",
            hint="run `dynamo pool up` as an ordinary user",
        )
    shown = names[user]
    group = pwd.getpwnam(user).pw_gid
    # One number suffices for the group, and any other than the user's private one would be as good.
    prefix = (unshare, "--user", f"--map-user={shown}", f"--map-group={group}")
    tried = subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True, check=False)
    if tried.returncode == 0 and tried.stdout.strip() == str(shown):
        return Account(user, prefix)
    raise MissingPartError(
        f"HTCondor runs no jobs as root, and this system lets root make no user namespace: {tried.stderr.strip()}",
        hint="run `dynamo pool up` as an ordinary user, or allow user namespaces "
        "(sysctl user.max_user_namespaces; for a container: --security-opt seccomp=unconfined)",
    )
