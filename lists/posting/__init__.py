"""A message comes to a list and asks to be posted.

`rules` judges it while the sender's server is still connected, `actions`
writes down what follows. What happens to a post afterwards is moderation's
and delivery's business.
"""
