"""Slicer's filter of the nodes that a selector offers, as far as the panel uses it.

It is no widget; its property was seen in the application, 5.12.
"""

from PySide6 import QtCore

from Testing.panel.ctk_widgets import kept


class qMRMLSortFilterProxyModel(QtCore.QObject):
    """Which nodes a selector offers."""

    hiddenNodeIDs = kept("QStringList", "hidden", [])
