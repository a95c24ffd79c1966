"""The files of Postfix and Cyrus SASL: what may stand in them, and how they are written."""
