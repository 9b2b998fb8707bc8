"""Certificates over years: trust comes before use and stays after it, whatever the pace of the clock."""

import base64
import ipaddress
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microapp_operator.admission.certificates import (
    BACKDATE,
    CA_LIFE,
    LEAF_LIFE,
    OVERLAP,
    Keyring,
    Leaf,
    build_keyring,
    ca_bundle,
    mark_published,
    next_due,
    rotate,
)
from microapp_operator.admission.keyring_secret import from_data, to_data

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOST = "webhook.microapp-system.svc"
NAMES = (HOST, "10.96.0.7", "2001:db8::7")
SECOND = timedelta(seconds=1)


def verify(leaf: Leaf, bundle: bytes, now: datetime, name: str = HOST) -> None:
    """As a client would at ``now`` that trusts ``bundle``; VerificationError when it wouldn't connect."""
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    trusted = Store(x509.load_pem_x509_certificates(bundle))
    verifier = PolicyBuilder().store(trusted).time(now.replace(tzinfo=None)).build_server_verifier(subject)
    verifier.verify(x509.load_pem_x509_certificate(leaf.certificate), [])


def ends(leaf: Leaf) -> datetime:
    return x509.load_pem_x509_certificate(leaf.certificate).not_valid_after_utc


def authorities(keyring: Keyring) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(ca_bundle(keyring))


class Life:
    """A keyring that grows older, what was published of it, and every leaf that was ever served."""

    def __init__(self) -> None:
        self.now = START
        self.keyring = build_keyring(NAMES, START)
        self.published = [(START, ca_bundle(self.keyring))]
        self.leaves = [self.keyring.leaf]

    def step(self, jump: timedelta, *, publishes: bool = True) -> None:
        self.now += jump
        self.keyring = rotate(self.keyring, self.now)
        if publishes:
            self.published.append((self.now, ca_bundle(self.keyring)))
            self.keyring = mark_published(self.keyring, self.now)
        if self.keyring.leaf != self.leaves[-1]:
            self.leaves.append(self.keyring.leaf)

    def trusted_at(self, moment: datetime) -> bytes:
        """The bundle that was in force at ``moment``: the first one for what was before it."""
        known = [bundle for published, bundle in self.published if published <= moment]
        return known[-1] if known else self.published[0][1]

    def check(self) -> None:
        verify(self.keyring.leaf, self.trusted_at(self.now - OVERLAP), self.now)
        for leaf in self.leaves:
            if self.now < ends(leaf):  # another replica may serve it still
                verify(leaf, self.trusted_at(self.now), self.now)
        assert len(authorities(self.keyring)) <= 3
        assert rotate(self.keyring, self.now) is self.keyring
        assert next_due(self.keyring) > self.now


def advanced(when: Callable[[Keyring], bool]) -> Life:
    """A life, in steps of six hours, up to the first moment ``when`` holds."""
    life = Life()
    while not when(life.keyring):
        assert life.now < START + timedelta(days=730), "it never comes"
        life.step(timedelta(hours=6))
    return life


quick = st.integers(1, 3600).map(lambda n: timedelta(seconds=n))
slow = st.integers(1, 60 * 24).map(lambda n: timedelta(hours=n))
failing = st.tuples(quick, st.just(False))
working = st.tuples(st.one_of(quick, slow), st.just(True))


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(working, failing), max_size=60))
def test_every_leaf_in_use_is_trusted_for_two_years(steps: list[tuple[timedelta, bool]]) -> None:
    life = Life()
    life.check()
    for jump, publishes in steps:
        life.step(jump, publishes=publishes)
        life.check()
    while life.now < START + timedelta(days=730):
        life.step(timedelta(days=3, hours=7))
        life.check()


@settings(max_examples=100)
@given(st.lists(st.integers(1, 500 * 24), min_size=1, max_size=12), st.booleans())
def test_rotate_settles_at_once_after_any_absence(hours: list[int], publishes: bool) -> None:
    life = Life()
    for each in hours:
        life.step(timedelta(hours=each), publishes=publishes)
        assert rotate(life.keyring, life.now) is life.keyring
        assert next_due(life.keyring) > life.now
        assert len(authorities(life.keyring)) <= 3
        verify(life.keyring.leaf, ca_bundle(life.keyring), life.now)
        assert from_data(to_data(life.keyring), NAMES) == life.keyring


def test_nothing_happens_before_next_due_and_something_at_it() -> None:
    life = Life()
    while life.now < START + timedelta(days=730):
        due = next_due(life.keyring)
        assert rotate(life.keyring, due - SECOND) is life.keyring
        assert rotate(life.keyring, due) is not life.keyring
        life.step(due - life.now)
    assert len(life.leaves) >= 730 / 20


@pytest.mark.parametrize("name", NAMES)
def test_the_leaf_is_good_for_every_name_and_for_clocks_behind(name: str) -> None:
    keyring = build_keyring(NAMES, START)
    for moment in (START - BACKDATE, START, START + LEAF_LIFE):
        verify(keyring.leaf, ca_bundle(keyring), moment, name)
    for moment in (START - BACKDATE - SECOND, START + LEAF_LIFE + SECOND):
        with pytest.raises(x509.verification.VerificationError):
            verify(keyring.leaf, ca_bundle(keyring), moment, name)
    with pytest.raises(x509.verification.VerificationError):
        verify(keyring.leaf, ca_bundle(keyring), START, "elsewhere.example.com")


def test_keys_are_p256_and_a_leaf_signs_nothing() -> None:
    keyring = build_keyring(NAMES, START)
    for pair in (keyring.current, keyring.leaf):
        key = serialization.load_pem_private_key(pair.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert isinstance(key.curve, ec.SECP256R1)
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value.ca == (pair is keyring.current)


def test_the_leaf_is_renewed_at_two_thirds_by_the_same_ca() -> None:
    keyring = build_keyring(NAMES, START)
    due = START + timedelta(days=20)
    assert rotate(keyring, due - SECOND) is keyring
    renewed = rotate(keyring, due)
    assert renewed.leaf != keyring.leaf
    assert (renewed.current, renewed.next, renewed.previous) == (keyring.current, None, None)
    assert ca_bundle(renewed) == ca_bundle(keyring)


def test_a_new_ca_is_published_for_an_overlap_before_it_signs() -> None:
    life = advanced(lambda keyring: keyring.next is not None)
    before = life.keyring
    assert before.next is not None
    assert before.next.published == life.now
    assert life.now - START >= CA_LIFE * 2 / 3
    assert rotate(before, life.now + OVERLAP - SECOND) is before
    after = rotate(before, life.now + OVERLAP)
    assert after.current == before.next.authority
    assert after.previous is not None
    assert after.previous.certificate == before.current.certificate
    assert after.previous.until == ends(before.leaf)
    assert after.leaf != before.leaf
    assert ca_bundle(after) == ca_bundle(before), "the same CAs in the same order: nothing to publish"


def test_a_leaf_that_is_due_during_the_overlap_is_signed_by_the_old_ca() -> None:
    life = advanced(lambda keyring: keyring.next is not None)
    moment = life.now + OVERLAP - SECOND
    renewed = rotate(from_data(to_data(life.keyring), (*NAMES, "webhook")), moment)
    assert (renewed.current, renewed.next) == (life.keyring.current, life.keyring.next)
    assert renewed.leaf != life.keyring.leaf
    verify(renewed.leaf, life.keyring.current.certificate, moment)


def test_a_ca_that_could_not_be_published_does_not_sign() -> None:
    life = Life()
    while life.now < START + timedelta(days=330):
        life.step(timedelta(days=1), publishes=False)
        verify(life.keyring.leaf, life.published[0][1], life.now)
    assert life.keyring.next is not None
    assert life.keyring.next.published is None


def test_a_leaf_ends_with_its_ca_at_the_latest_and_then_waits_for_it() -> None:
    last = START + CA_LIFE
    keyring = rotate(build_keyring(NAMES, START), last - timedelta(days=3))
    assert ends(keyring.leaf) == last
    assert next_due(keyring) == last


def test_the_old_ca_goes_when_its_last_leaf_has_ended() -> None:
    life = advanced(lambda keyring: keyring.previous is not None)
    assert life.keyring.previous is not None
    until = life.keyring.previous.until
    kept = rotate(life.keyring, until - SECOND)
    assert kept.previous == life.keyring.previous
    assert rotate(kept, until).previous is None


def test_the_key_of_the_old_ca_is_gone_at_once() -> None:
    life = advanced(lambda keyring: keyring.next is not None)
    old = life.keyring.current.key
    life.step(OVERLAP)
    assert old not in (base64.b64decode(value) for value in to_data(life.keyring).values())


@pytest.mark.parametrize("away", [CA_LIFE, CA_LIFE + timedelta(days=1), timedelta(days=2000)])
def test_after_an_absence_beyond_the_life_of_the_ca_there_is_a_usable_one(away: timedelta) -> None:
    keyring = build_keyring(NAMES, START)
    anew = rotate(keyring, START + away)
    verify(anew.leaf, ca_bundle(anew), START + away)
    assert authorities(anew)[0].not_valid_after_utc == START + away + CA_LIFE
    assert len(authorities(anew)) == 1


@pytest.mark.parametrize("wanted", [(*NAMES, "webhook"), ("webhook",), (HOST, "192.0.2.1")])
def test_a_leaf_that_lacks_a_name_is_replaced(wanted: tuple[str, ...]) -> None:
    keyring = from_data(to_data(build_keyring(NAMES, START)), wanted)
    assert next_due(keyring) < START
    replaced = rotate(keyring, START)
    assert replaced.leaf != keyring.leaf
    assert replaced.current == keyring.current
    for name in wanted:
        verify(replaced.leaf, ca_bundle(replaced), START, name)


@pytest.mark.parametrize("wanted", [NAMES[:1], (HOST.upper(), "2001:0db8:0::7"), NAMES + NAMES])
def test_a_leaf_that_covers_the_names_stays(wanted: Iterable[str]) -> None:
    keyring = from_data(to_data(build_keyring(NAMES, START)), wanted)
    assert rotate(keyring, START) is keyring
