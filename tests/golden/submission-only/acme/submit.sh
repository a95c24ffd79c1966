#!/bin/sh
# mailcfg: certificates.submit (submission-only.toml)
# Postfix shows a renewed certificate only after a reload.
exec systemctl reload postfix
