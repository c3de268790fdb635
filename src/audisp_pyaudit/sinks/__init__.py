"""Where frames go: a file, standard output, a Unix socket with many subscribers.

In: frames of the engine, already encoded. Out: bytes, whole frames only. A sink never ends the process, never opens a
document, never calls back into an earlier stage, and keeps the pipeline waiting for at most `MAX_WAIT_SECONDS`; what it
cannot deliver it counts under a reason.
"""
