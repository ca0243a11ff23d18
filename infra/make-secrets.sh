#!/bin/sh
# Draw every secret that infra/compose and infra/kubernetes ask for: infra/make-secrets.sh FOLDER [DATABASE_HOST]
#
# One file each. The folder is yours alone; the files in it are readable, because a container reads them as
# another user. What is there already is kept, so that a second run changes nothing.
set -eu
folder=${1:?"say where: infra/make-secrets.sh FOLDER [DATABASE_HOST]"}
host=${2:-database}
umask 022
mkdir -p -m 0700 "$folder"
chmod 0700 "$folder"

draw() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
keep() { [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"; }

keep superuser_password "$(draw)"
keep owner_password "$(draw)"
keep app_password "$(draw)"
keep prefect_password "$(draw)"
keep grafana_password "$(draw)"
keep auth_token "$(draw)" # of Ray, under the name that KubeRay looks for
keep rightstep_prefect_auth "rightstep:$(draw)"
keep rightstep_database_url "postgresql://rightstep_app:$(cat "$folder/app_password")@$host:5432/rightstep"
keep rightstep_database_owner_url "postgresql://rightstep_owner:$(cat "$folder/owner_password")@$host:5432/rightstep"
keep prefect_database_url "postgresql+asyncpg://prefect:$(cat "$folder/prefect_password")@$host:5432/prefect"
keep rightstep_store_key "$(draw)"
keep rightstep_store_secret "$(draw)"
# As SeaweedFS reads who may do what: https://github.com/seaweedfs/seaweedfs/wiki/Amazon-S3-API
keep store_identities "{\"identities\": [{\"name\": \"rightstep\", \"credentials\": [{\"accessKey\": \
\"$(cat "$folder/rightstep_store_key")\", \"secretKey\": \"$(cat "$folder/rightstep_store_secret")\"}], \
\"actions\": [\"Read:house\", \"Write:house\", \"List:house\"]}]}"
