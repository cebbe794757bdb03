from __future__ import annotations

from stream.clustering.labels import label_clusters, tokenise, word_shares


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


def test_words_of_many_items_everywhere_name_nothing_however_they_fall() -> None:
    catalogue = [
        f"{thing} {n} on {word}" for n in range(40) for thing in ("oak", "tent") for word in ("a", "the")
    ]
    catalogue += [f"plain thing {n}" for n in range(160)]
    usual = word_shares(catalogue)
    # By chance "on" and "the" are half as frequent again in this cluster as everywhere.
    document = ["oak chair on the"] * 6 + ["oak shelf"] * 4
    assert label_clusters([document, ["tent"] * 10], words=4, usual=usual)[0] == ["chair", "shelf", "oak"]
    assert label_clusters([["oak on"] * 4 + ["oak"] * 6, ["tent"] * 10], usual=usual)[0] == ["oak"]


def test_a_word_of_one_item_names_the_item() -> None:
    document = ["war film"] * 8 + ["gatsby"]
    weights = [1.0] * 8 + [4.0]
    usual = word_shares(["war film", "gatsby", *["song"] * 98])
    assert label_clusters([document, ["song"] * 9], [weights, [1.0] * 9], usual=usual)[0] == ["film", "war"]


def test_chinese_pairs_that_are_everywhere_name_nothing() -> None:
    usual = word_shares(["我们的书", "我们的鞋", "我们的灯", "我们的茶"] * 25)
    label = label_clusters([["我们的跑鞋", "我们的球鞋", "跑鞋"], ["我们的书"] * 3], words=2, usual=usual)[0]
    assert "我们" not in label
    assert "跑鞋" in label
