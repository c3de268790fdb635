"""Leaves out what takes minutes, unless PACKAGES is set."""

import os

# They build packages and whole systems to install them on, or need wheels for other machines: `make test-packages` sets
# PACKAGES, `make test-wheel` sets WHEELS, `make test-selinux` sets SELINUX, `make test` none of them.
_LEFT_OUT = {
    "PACKAGES": ["test_deb_*.py", "test_rpm_*.py"],
    "WHEELS": ["test_wheel_*.py"],
    "SELINUX": ["test_selinux_*.py"],
}
collect_ignore_glob = [glob for name, globs in _LEFT_OUT.items() if not os.environ.get(name) for glob in globs]
