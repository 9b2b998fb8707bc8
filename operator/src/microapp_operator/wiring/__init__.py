"""One module a process: what is wired to what, and the order of starting and stopping.

Apart, so that a command imports only what it needs; nothing but ``__main__`` imports this.
"""
