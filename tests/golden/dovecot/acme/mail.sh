#!/bin/sh
# mailcfg: certificates.mail (dovecot.toml)
# Postfix shows a renewed certificate only after a reload.
exec systemctl reload postfix
