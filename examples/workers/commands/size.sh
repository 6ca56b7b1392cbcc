#!/bin/sh
# A worker in a shell script: the size of the folder that each task names.
while read -r line; do
    folder=$(printf '%s' "$line" | sed -n 's/.*"folder":"\([^"]*\)".*/\1/p')
    if [ -d "$folder" ]; then
        echo "measuring $folder" >&2
        echo '{"progress": "measuring"}'
        printf '{"result": {"kilobytes": %d}}\n' "$(du -sk "$folder" | cut -f1)"
    else
        printf '{"failure": {"class": "NotFound", "message": "no folder %s"}}\n' "$folder"
    fi
done
