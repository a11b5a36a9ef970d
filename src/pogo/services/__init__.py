"""The verbs: one function is one transaction. Only these write the database.

No function here starts a process, touches the network or sleeps; loops do, between two of them.
Objects that are returned stay readable after the transaction.
"""
