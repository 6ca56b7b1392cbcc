"""Plans of companies, their limits, and bills of metered use."""
