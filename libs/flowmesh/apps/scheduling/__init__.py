"""Schedules of applications: jobs at the times of cron expressions, each instant once."""
