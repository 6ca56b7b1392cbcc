"""Mutation testing: how many small changes of the code do its tests notice?"""
