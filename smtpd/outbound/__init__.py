"""From an outgoing message to the next server: render, sign, speak SMTP.

render and dkim are pure; client knows SMTP and no database; relay knows the
settings. What a reply means for a row is for smtpd.queue to decide.
"""
