"""What all tests need."""

import signal

# Whoever runs the tests in the background of a shell has them started with SIGINT ignored, and with them all commands
# that ^C is to end.
signal.signal(signal.SIGINT, signal.default_int_handler)
