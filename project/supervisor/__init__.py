"""Every part of the site under one process: `manage.py up` becomes this.

Starts broker, web, smtpd, worker and clock, prefixes what they log, starts
again what dies, and stops them in an order in which nothing is lost. It does
not import Django, because it stays in memory as long as the site runs.

    plan      which parts there are, from the environment
    child     one part's process: start, restart with back-off, stop
    lines     the prefixes of the log
    sockets   where mail comes in, bound once for all listeners
    turnover  new listeners in place of the old ones
    tether    started between us and a part: the part dies when we do
    broker    the embedded Valkey server
"""
