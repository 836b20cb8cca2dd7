"""Every part of the site under one process: `manage.py up` becomes this.

Starts broker, web, smtpd and worker, prefixes what they log, starts
again what dies, and stops them in an order in which nothing is lost. It loads
the site once, and the parts are born of it by fork(2), so that they share it.

    plan      which parts there are, from the environment
    loading   what the parts have in common
    child     one part's process: start, restart with back-off, stop
    life      what that process does first: the part dies when we do
    lines     the prefixes of the log
    sockets   where mail comes in, bound once for all listeners
    turnover  new listeners in place of the old ones
    broker    the embedded Valkey server
"""
