"""Plots and bearings to tracks: filter, association, initiation, deletion. Pure."""
