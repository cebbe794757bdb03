from __future__ import annotations

from stream.clustering.labels import label_clusters, tokenise


def test_words_that_are_everywhere_name_nothing() -> None:
    shop = ["the running shoes for men", "the light running shoes", "the trail shoes of the year"]
    video = ["the marathon documentary of the year", "the long documentary for men", "the short documentary"]
    labels = label_clusters([shop, video], words=2)
    assert labels == [["shoes", "running"], ["documentary", "long"]] or labels[0][0] == "shoes"
    assert "the" not in labels[0] + labels[1]


def test_stop_words_are_learnt_in_any_language() -> None:
    labels = label_clusters(
        [["der rote Schuh", "der blaue Schuh"], ["der lange Film", "der kurze Film"]], words=1
    )
    assert labels == [["schuh"], ["film"]]


def test_chinese_is_not_split_on_spaces() -> None:
    shoes = ["男士越野跑鞋", "女士轻便跑鞋", "防水跑鞋"]
    phones = ["智能手机壳", "防摔手机壳", "透明手机膜"]
    labels = label_clusters([shoes, phones], words=1)
    assert labels == [["跑鞋"], ["手机"]]


def test_chosen_pairs_do_not_overlap() -> None:
    label = label_clusters([["智能手机壳", "防摔手机壳"], ["红酒", "白酒"]], words=3)[0]
    assert "手机" in label
    assert "机壳" not in label


def test_weights_count() -> None:
    documents = [["tent", "stove"], ["novel"]]
    assert label_clusters(documents, [[1, 5], [1]], words=1) == [["stove"], ["novel"]]


def test_one_cluster_and_none_and_empty_texts() -> None:
    assert label_clusters([["red shoe", "blue shoe"]], words=1) == [["shoe"]]
    assert label_clusters([], words=3) == []
    assert label_clusters([[], ["", "12 3"], ["lamp"]], words=3) == [[], [], ["lamp"]]


def test_tokens() -> None:
    assert tokenise("L'été à 3 €, Straße_und ÄPFEL") == ["l'été", "straße", "und", "äpfel"]
    assert tokenise("跑") == ["跑"]
    assert tokenise("한국어 신발") == ["한국어", "신발"]
