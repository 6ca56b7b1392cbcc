"""Code and data: JavaScript, Python, jq, JSONata, pipelines, conditions."""
