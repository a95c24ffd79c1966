"""mailcfg compiles one typed policy per mail host into Postfix, Cyrus SASL and OpenSSL configuration."""

__version__ = "0.1.0"
