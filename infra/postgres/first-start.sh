#!/bin/sh
# Run by the image of PostgreSQL when its data folder is empty.
set -eu
exec psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set owner_password="$(cat /run/secrets/owner_password)" \
    --set app_password="$(cat /run/secrets/app_password)" \
    --set prefect_password="$(cat /run/secrets/prefect_password)" \
    --file /etc/rightstep/roles.sql
