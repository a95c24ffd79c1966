#!/bin/sh
# mailcfg: certificates.mail (base-office.toml)
# Postfix shows a renewed certificate only after a reload.
exec systemctl reload postfix
