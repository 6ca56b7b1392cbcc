"""Settings of a cell: a suite that is one of several side by side."""

from typing import Self

from pydantic import Field, model_validator

from flowmesh.runtime.settings.observe import ObserveSettings
from flowmesh.runtime.settings.types import AbsolutePath, Server

_NAME = r"^([a-z][a-z0-9-]{0,31})?$"


class CellSettings(ObserveSettings):
    """Settings of a cell: its number and name, its addresses, and the directory of all cells."""

    cell: int = Field(
        default=0,
        ge=0,
        le=15,
        description="number of this cell (docs/cells.md); ids that it makes carry it, and it never"
        " changes",
    )
    cell_name: str = Field(
        default="", pattern=_NAME, description="name of this cell, such as eu1; empty without cells"
    )
    cell_region: str = Field(
        default="", pattern=_NAME, description="region of this cell, such as eu"
    )
    cell_directory: Server = Field(
        default="",
        description="NATS of the control cell, which keeps the directory of cells:"
        " nats://host:port; by default FLOWMESH_NATS, for the control cell itself, number 0",
    )
    cell_http: Server = Field(
        default="",
        pattern=r"^(https?://[^\s/?#@]+)?$",
        description="URL at which gateways of other cells and clients reach this cell; by default"
        " that of the gateway",
    )
    cell_grpc: Server = Field(
        default="",
        pattern=r"^((grpcs?://)?[^\s/?#@]+:\d+)?$",
        description="gRPC address of the gateways of this cell; by default that of the gateway",
    )
    cell_ca: AbsolutePath = Field(
        default="",
        description="PEM file of the authorities of the gateways of other cells; by default those"
        " of the system",
    )

    @model_validator(mode="after")
    def _names_its_cell(self) -> Self:
        """Raise ValueError for a cell without name, region or directory."""
        needed = {"FLOWMESH_CELL_NAME": self.cell_name, "FLOWMESH_CELL_REGION": self.cell_region}
        if self.cell:
            needed["FLOWMESH_CELL_DIRECTORY"] = self.cell_directory
        missing = [name for name, value in needed.items() if not value]
        if missing and (self.cell or self.cell_name or self.cell_region or self.cell_directory):
            text = "a cell has a number, a name and a region, and beside cell 0 a directory"
            raise ValueError(f"{text}; set {' and '.join(missing)}")
        return self
