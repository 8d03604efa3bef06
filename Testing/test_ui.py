"""The panel against what Slicer 5.12's widgets really have: properties, signals, slots.

Connecting to a signal that doesn't exist raises nothing in Slicer, so nobody would notice there.
"""

import ast
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from Testing.repository import LIBRARY, MODULE, ROOT, python_files

UI_FILES = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
CODE_FILES = [*python_files(MODULE), *python_files(LIBRARY / "panel")]


@pytest.fixture(scope="module")
def widgets(shared_data):
    """What each widget class of Slicer 5.12 has, by class name."""
    return json.loads((shared_data / "slicer-5.12-widgets.json").read_text(encoding="utf-8"))


def members(widgets: dict, class_name: str, kinds: str) -> set[str]:
    """Names of the given kinds ("properties", "signals", "slots", "other") that a class has."""
    own, base = widgets[class_name], widgets["QWidget"]
    return {name for kind in kinds.split() for name in own[kind] + base[kind]}


def plain(names: set[str]) -> set[str]:
    """Signal and slot names without their arguments."""
    return {name.partition("(")[0] for name in names}


def named_widgets(tree: ElementTree.Element) -> dict[str, str]:
    """The class of every widget in a .ui file, by its name."""
    return {node.get("name"): node.get("class") for node in tree.iter("widget")}


def faults_of_ui(tree: ElementTree.Element, widgets: dict) -> list[str]:
    """What a .ui file names and Slicer doesn't have."""
    faults = []
    declared = {node.findtext("class") for node in tree.iter("customwidget")}
    for node in tree.iter("widget"):
        class_name, name = node.get("class"), node.get("name")
        if class_name not in widgets:
            faults.append(f"{name}: there is no class {class_name}")
            continue
        if not class_name.startswith("Q") and class_name not in declared:
            faults.append(f"{name}: {class_name} is missing from customwidgets")
        for item in node.findall("property"):
            known = members(widgets, class_name, "properties")
            if item.get("stdset") != "0" and item.get("name") not in known:
                faults.append(f"{name}: {class_name} has no property {item.get('name')}")
            for flag in re.findall(rf"{class_name}::(\w+)", "".join(item.itertext())):
                if flag not in members(widgets, class_name, "other"):
                    faults.append(f"{name}: {class_name} has no value {flag}")
    classes = named_widgets(tree)
    for node in tree.iter("connection"):
        for end, member, kinds in [("sender", "signal", "signals"), ("receiver", "slot", "slots")]:
            class_name = classes.get(node.findtext(end))
            if class_name is None:
                faults.append(f"connection: there is no widget {node.findtext(end)}")
            elif node.findtext(member) not in members(widgets, class_name, kinds):
                faults.append(f"connection: {class_name} has no {node.findtext(member)}")
    names = [node.get("name") for node in tree.iter("widget")]
    return faults + [f"{name} occurs twice" for name in set(names) if names.count(name) > 1]


def used_widget(node: ast.AST) -> str | None:
    """NAME when an expression reads `....ui.NAME`, else None."""
    is_ui = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)
    return node.attr if is_ui and node.value.attr == "ui" else None


def faults_of_code(code: str, classes: dict[str, str], widgets: dict) -> list[str]:
    """What Python code does with `ui.NAME` and Slicer's widgets can't do."""
    faults = []
    tree = ast.parse(code)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if used_widget(node) and node.attr not in classes:
            faults.append(f"line {node.lineno}: the .ui file has no {node.attr}")
        if not isinstance(node, ast.Attribute) or used_widget(node.value) not in classes:
            continue
        name, class_name = node.value.attr, classes[node.value.attr]
        properties = members(widgets, class_name, "properties")
        methods = plain(members(widgets, class_name, "signals slots other")) - properties
        where = f"line {node.lineno}: {name}.{node.attr}"
        if node.attr not in properties | methods:
            faults.append(f"{where} doesn't exist in {class_name}")
        elif isinstance(node.ctx, ast.Store) and node.attr not in properties:
            faults.append(f"{where} is not a property")
        elif id(node) in called and node.attr in properties:
            faults.append(f"{where} is a property and can't be called")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name = used_widget(node.func.value)
        if name in classes and node.func.attr == "connect":
            signal = ast.literal_eval(node.args[0])
            if signal not in members(widgets, classes[name], "signals"):
                faults.append(f"line {node.lineno}: {name} has no signal {signal}")
    return faults


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.name)
def test_every_class_property_and_connection_of_a_ui_file_exists_in_slicer(path, widgets):
    assert faults_of_ui(ElementTree.parse(path).getroot(), widgets) == []


def test_the_code_uses_only_widgets_properties_and_signals_that_exist(widgets):
    classes = {}
    for path in UI_FILES:
        classes |= named_widgets(ElementTree.parse(path).getroot())
    for path in CODE_FILES:
        assert faults_of_code(path.read_text(encoding="utf-8"), classes, widgets) == [], path


def test_every_slot_that_is_connected_is_a_method():
    for path in CODE_FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for node in ast.walk(tree):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if not is_call or node.func.attr != "connect":
                continue
            slot = node.args[-1]
            if isinstance(slot, ast.Attribute) and ast.unparse(slot.value) == "self":
                assert slot.attr in methods, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.name)
def test_every_widget_with_nodes_is_given_the_scene(path):
    tree = ElementTree.parse(path).getroot()
    connected = {
        node.findtext("receiver")
        for node in tree.iter("connection")
        if node.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
    }
    # The segment editor gets its node first, and the scene by the code then.
    wanted = {
        name for name, kind in named_widgets(tree).items()
        if kind.startswith("qMRML") and kind not in ("qMRMLWidget", "qMRMLSegmentEditorWidget")
    }
    assert connected == wanted


def test_every_parameter_that_a_ui_file_names_exists_and_is_named_once():
    named = [
        item.findtext("string")
        for path in UI_FILES
        for item in ElementTree.parse(path).getroot().iter("property")
        if item.get("name") == "SlicerParameterName"
    ]
    code = (LIBRARY / "panel" / "parameters.py").read_text(encoding="utf-8")
    cls = next(
        node for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ClassDef) and node.name == "Parameters"
    )
    parameters = {node.target.id for node in cls.body if isinstance(node, ast.AnnAssign)}
    assert set(named) <= parameters
    assert len(named) == len(set(named)) > 0


def test_names_of_widgets_are_unique_over_all_sections():
    names = [
        name for path in UI_FILES for name in named_widgets(ElementTree.parse(path).getroot())
    ]
    assert len(names) == len(set(names))


def test_every_widget_that_one_acts_on_has_a_tooltip():
    silent = []
    for path in UI_FILES:
        for node in ElementTree.parse(path).getroot().iter("widget"):
            is_acted_on = node.get("class") not in (
                "QLabel", "QFrame", "QProgressBar", "qMRMLWidget", "ctkCollapsibleButton",
                "ctkCollapsibleGroupBox", "qMRMLSegmentEditorWidget",
            )
            if is_acted_on and not any(
                item.get("name") == "toolTip" and "".join(item.itertext()).strip()
                for item in node.findall("property")
            ):
                silent.append(node.get("name"))
    assert silent == []


@pytest.mark.parametrize("module", ["ctk_widgets", "slicer_widgets"])
def test_the_stand_ins_of_widgets_have_only_what_slicer_has(module, widgets):
    path = ROOT / "Testing" / "panel" / f"{module}.py"
    for cls in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(cls, ast.ClassDef):
            continue
        known = members(widgets, cls.name, "properties signals slots other")
        names = {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
        for node in cls.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                names |= {target.id for target in node.targets}
        strange = {name for name in names if not name.startswith("_")} - plain(known)
        assert strange <= {"nodes", "sizeHint", "minimumSizeHint", "paintEvent"}, cls.name


@pytest.mark.parametrize(
    "line",
    [
        "self.ui.missingButton.enabled = True",
        "self.ui.openButton.enabledd = True",
        "self.ui.openButton.enabled()",
        "self.ui.openButton.click = 1",
        "self.ui.openButton.connect('clicked(int)', self.onOpenStudy)",
        "self.widget.ui.studyPathLineEdit.currentText",
    ],
)
def test_a_mistake_in_the_code_is_found(line, widgets):
    classes = {"openButton": "QPushButton", "studyPathLineEdit": "ctkPathLineEdit"}
    assert len(faults_of_code(line, classes, widgets)) == 1


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('class="ctkPathLineEdit"', 'class="ctkPathLine"'),
        ('name="settingKey"', 'name="settingsKey"'),
        ("ctkPathLineEdit::Dirs", "ctkPathLineEdit::Directories"),
        ('name="studyPathLabel"', 'name="studyLabel"'),
        ("<class>ctkPathLineEdit</class>", "<class>ctkOther</class>"),
    ],
)
def test_a_mistake_in_a_ui_file_is_found(right, wrong, widgets):
    text = (MODULE / "Resources" / "UI" / "StudySection.ui").read_text(encoding="utf-8")
    assert right in text
    assert faults_of_ui(ElementTree.fromstring(text.replace(right, wrong)), widgets)
