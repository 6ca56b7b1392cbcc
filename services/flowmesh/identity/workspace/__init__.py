"""Files and quotas of projects."""
