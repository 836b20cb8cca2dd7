"""The web's door to the mail server; project.pages puts its own beside them."""

from django.urls import path

from smtpd.pages import mailbox, orders, queue

urlpatterns = [
    path("queue/", queue.show, name="queue"),
    path("queue/numbers/", queue.numbers, name="queue-numbers"),
    path("queue/act/", orders.act, name="queue-act"),
    path("queue/copies/<int:pk>/", queue.copy, name="delivery"),
    path("mailbox/", mailbox.index, name="mailbox"),
    path("mailbox/<int:pk>/", mailbox.show, name="copy"),
    path("mailbox/<int:pk>/html/", mailbox.html, name="copy-html"),
    path("mailbox/<int:pk>/raw/", mailbox.raw, name="copy-raw"),
]
