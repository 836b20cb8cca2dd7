"""The SMTP server: decides every recipient while the sender is connected.

session and content are the protocol without a network, connection drives them
over a socket, policies ask the database, server binds and drains. What was
answered with 250 is committed; whatever goes wrong on our side is a 451.
"""
